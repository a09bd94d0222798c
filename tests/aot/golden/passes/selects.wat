;; pass selects after clean,gvn
;; A select becomes a branch if each way to it decides its condition.
(module
  (memory 1 1)
  (func (export "nothing") (param $p i32) (param $sum i64) (result i64)
    (local $found i64)
    (if (i32.load (local.get $p))
      (then (local.set $found (i64.load32_u (local.get $p))))
      (else (local.set $found (i64.const -1))))
    (select
      (i64.add (local.get $sum) (local.get $found))
      (i64.xor (local.get $sum) (i64.const 1))
      (i64.ne (local.get $found) (i64.const -1))))
  (func (export "may_be_nothing") (param $p i32) (param $sum i64) (result i64)
    (local $found i64)
    (if (i32.load (local.get $p))
      (then (local.set $found (i64.load (local.get $p))))
      (else (local.set $found (i64.const -1))))
    (select
      (i64.add (local.get $sum) (local.get $found))
      (i64.xor (local.get $sum) (i64.const 1))
      (i64.ne (local.get $found) (i64.const -1))))
  (func (export "needed_behind") (param $p i32) (param $sum i64) (result i64)
    (local $found i64) (local $both i64)
    (if (i32.load (local.get $p))
      (then (local.set $found (i64.load32_u (local.get $p))))
      (else (local.set $found (i64.const -1))))
    (local.set $both (i64.add (local.get $sum) (local.get $found)))
    (i64.mul
      (local.get $both)
      (select (local.get $both) (local.get $sum) (i64.ne (local.get $found) (i64.const -1))))))
