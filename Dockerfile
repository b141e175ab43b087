# Images of the chat example.
#
# Portable, the default: the engine in pure Go, one static file and nothing else.
#
#	docker build -t zyre-chat .
#	docker run --rm -it --network host zyre-chat -name alice
#
# With libzyre: target cgo, on an image that you have and that has libzyre 2.0
# with its headers, libczmq, libzmq, pkg-config and a C compiler.
#
#	docker build -t zyre-chat-cgo --target cgo --build-arg LIBZYRE_IMAGE=your/libzyre .
#
# Beacons are broadcast and do not leave a container's own network: nodes on the
# real network need --network host.

ARG GO_VERSION=1.26
# Without a value the target cgo stops at its first command; others need none.
ARG LIBZYRE_IMAGE=scratch

FROM golang:${GO_VERSION}-bookworm AS source
WORKDIR /src
COPY go.mod go.sum* ./
RUN go mod download
COPY . .

FROM source AS portable-build
RUN CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o /out/chat ./examples/chat

FROM ${LIBZYRE_IMAGE} AS cgo-build
# Go and the modules come along; the C compiler and the libraries are the image's.
COPY --from=source /usr/local/go /usr/local/go
COPY --from=source /go /go
COPY --from=source /src /src
WORKDIR /src
ENV GOPATH=/go PATH=/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
RUN CGO_ENABLED=1 go build -trimpath -o /out/chat ./examples/chat

FROM ${LIBZYRE_IMAGE} AS cgo
COPY --from=cgo-build /out/chat /usr/local/bin/chat
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/chat"]

FROM scratch AS portable
COPY --from=portable-build /out/chat /chat
USER 65532:65532
ENTRYPOINT ["/chat"]
