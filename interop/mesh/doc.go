// Package mesh tests meshes of all kinds of node that there are: package
// fallback, package zyre on libzyre, and libzyre in C, found by each kind of
// discovery. Most of it needs libzyre and a build with cgo.
package mesh
