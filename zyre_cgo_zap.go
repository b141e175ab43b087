//go:build cgo && !purego

package zyre

/*
#include <stdlib.h>
#include "zyre_cgo.h"
*/
import "C"

import (
	"errors"
	"sync"
	"unsafe"
)

// zap is for one thread at a time, since all nodes of the process share who
// answers by ZAP. Nobody takes another lock while he has it.
var zap sync.Mutex

// domain is where libzmq asks about those who connect to the node.
func (p *presence) domain(cfg *config) string {
	if cfg.allowed == nil {
		return cfg.zapDomain
	}
	return "zyre " + p.id.String() // of nobody else in the process
}

// guard keeps away who has none of these keys, from before the node listens
// until unguard.
func (p *presence) guard(cfg *config) error {
	if cfg.allowed == nil {
		return nil
	}
	var free cStrings
	defer free.all()
	var keys []byte
	for _, k := range cfg.allowed {
		keys = append(keys, k[:]...)
	}
	zap.Lock()
	defer zap.Unlock()
	domain := p.domain(cfg)
	if C.zg_allow_keys(free.string(domain), (*C.uint8_t)(unsafe.SliceData(keys)), C.size_t(len(keys))) != 0 {
		return errors.New("zyre: WithAllowedKeys: another ZAP handler of this process decides who may connect, see WithZAPDomain")
	}
	p.guarded = domain
	return nil
}

// unguard is for a node that is gone.
func (p *presence) unguard() {
	if p.guarded == "" {
		return
	}
	var free cStrings
	defer free.all()
	zap.Lock()
	defer zap.Unlock()
	C.zg_forget_keys(free.string(p.guarded))
}
