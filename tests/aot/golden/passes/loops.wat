;; pass loops after clean,gvn
;; What does not change in a loop is computed before it; a multiple of the counter becomes a sum.
(module
  (memory 1)
  (func (export "invariant") (param $n i32) (param $a i64) (param $b i64) (result i64) (local $sum i64)
    (loop $again
      (local.set $sum (i64.xor (local.get $sum) (i64.mul (local.get $a) (local.get $b))))
      (local.set $sum (i64.mul (local.get $sum) (i64.const 0x123456789abcdef)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum))
  (func (export "multiple") (param $n i32) (local $i i32)
    (loop $again
      (i32.store (i32.mul (local.get $i) (i32.const 12)) (local.get $n))
      (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n)))))
  (func (export "may trap, or not be reached") (param $n i32) (param $a i32) (result i32) (local $sum i32)
    (loop $again
      (if (i32.eqz (local.get $sum)) (then (local.set $sum (i32.div_u (local.get $a) (local.get $n)))))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum)))
