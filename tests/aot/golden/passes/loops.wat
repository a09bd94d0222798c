;; pass loops after clean,gvn
;; What does not change in a loop is computed before it; a multiple of the counter becomes a sum; addresses become pointers,
;; which end the loop too, where nobody needs the counter.
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
    (local.get $sum))
  (func (export "pointers") (param $row i32) (param $column i32) (result i32) (local $k i32) (local $sum i32)
    (block $done
      (loop $again
        (br_if $done (i32.ge_s (local.get $k) (i32.const 24)))
        (local.set $sum (i32.add (local.get $sum) (i32.mul
          (i32.load16_s (i32.add (i32.const 0x110000)
            (i32.shl (i32.add (i32.mul (local.get $row) (i32.const 24)) (local.get $k)) (i32.const 1))))
          (i32.load16_s (i32.add (i32.const 0x111000)
            (i32.shl (i32.add (i32.mul (local.get $k) (i32.const 24)) (local.get $column)) (i32.const 1)))))))
        (local.set $k (i32.add (local.get $k) (i32.const 1)))
        (br $again)))
    (local.get $sum))
  (func (export "the counter is needed: no pointer") (param $a i32) (param $n i32) (local $i i32)
    (block $done
      (loop $again
        (br_if $done (i32.ge_s (local.get $i) (local.get $n)))
        (i32.store16 (i32.shl (i32.add (local.get $a) (local.get $i)) (i32.const 1)) (local.get $i))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $again))))
  (func (export "the addressing mode is enough: no pointer") (param $a i32) (local $i i32)
    (block $done
      (loop $again
        (br_if $done (i32.ge_u (local.get $i) (i32.const 100)))
        (i32.store (i32.add (local.get $a) (i32.shl (local.get $i) (i32.const 2))) (i32.const 7))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $again)))))
