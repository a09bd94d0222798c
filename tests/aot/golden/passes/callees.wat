;; pass callees after clean
;; An index that the loop does not change is resolved in it once, and `loops` moves that out; one that changes is checked
;; at every call, and so is a call outside of loops.
(module
  (type $f (func (param i32) (result i32)))
  (table 2 funcref)
  (elem (i32.const 0) $double)
  (func $double (param i32) (result i32) (i32.shl (local.get 0) (i32.const 1)))
  (func $invariant (param $x i32) (param $index i32) (result i32)
    (loop $again
      (br_if $again (local.tee $x (call_indirect (type $f) (local.get $x) (local.get $index)))))
    (local.get $x))
  (func $varying (param $x i32) (result i32)
    (loop $again
      (br_if $again (local.tee $x (call_indirect (type $f) (local.get $x) (local.get $x)))))
    (local.get $x))
  (func $once (param $index i32) (result i32)
    (call_indirect (type $f) (i32.const 5) (local.get $index))))
