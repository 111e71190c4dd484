package tensor

import (
	"fmt"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
)

// calledKernels counts the calls of every kernel of an instruction set.
type calledKernels map[string]*atomic.Int64

// watch makes an engine count the calls of its kernels.
func (c calledKernels) watch(e *Engine) {
	k := *e.k
	c.wrap(k.name, reflect.ValueOf(&k).Elem())
	e.k = &k
	for _, w := range e.pool.workers {
		w.k = &k
	}
}

// wrap puts counters before all functions in v.
func (c calledKernels) wrap(name string, v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			c.wrap(name+" "+v.Type().Field(i).Name, v.Field(i))
		}
	case reflect.Slice:
		if v.IsNil() {
			return
		}
		own := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		reflect.Copy(own, reflect.NewAt(v.Type(), v.Addr().UnsafePointer()).Elem())
		reflect.NewAt(v.Type(), v.Addr().UnsafePointer()).Elem().Set(own)
		fallthrough
	case reflect.Array:
		for i := range v.Len() {
			c.wrap(fmt.Sprint(name, " ", i), v.Index(i))
		}
	case reflect.Func:
		if !v.IsNil() {
			c.count(name, v)
		}
	}
}

// count puts a counter before a function.
func (c calledKernels) count(name string, v reflect.Value) {
	n := c[name]
	if n == nil {
		n = new(atomic.Int64)
		c[name] = n
	}
	at := reflect.NewAt(v.Type(), v.Addr().UnsafePointer()).Elem()
	kernel := reflect.ValueOf(at.Interface())
	at.Set(reflect.MakeFunc(v.Type(), func(args []reflect.Value) []reflect.Value {
		n.Add(1)
		return kernel.Call(args)
	}))
}

// check fails for kernels that were not called.
func (c calledKernels) check(t *testing.T) {
	t.Helper()
	for name, n := range c {
		// Panels of plain Go are too narrow for lines of 16.
		if n.Load() == 0 && !strings.HasSuffix(name, " peak") && name != "portable line 1" {
			t.Errorf("no trial calls %s", name)
		}
	}
}
