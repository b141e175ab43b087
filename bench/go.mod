module github.com/gozyre/zyre/bench

go 1.25.0

require (
	github.com/gozyre/zyre v0.0.0
	github.com/pebbe/zmq4 v1.4.0
)

require (
	golang.org/x/crypto v0.55.0 // indirect
	golang.org/x/sys v0.47.0 // indirect
)

replace github.com/gozyre/zyre => ../
