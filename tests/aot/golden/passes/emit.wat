;; pass emit
;; Frame and saved registers, labels where jumps need them, traps out of line, jump tables.
(module
  (memory 1)
  (func $f (export "frame") (param i32) (result i32)
    (i32.add (call $f (i32.div_s (local.get 0) (i32.const -3))) (local.get 0)))
  (func (export "divide") (param i32 i32) (result i32)
    (i32.div_s (local.get 0) (local.get 1)))
  (func (export "table") (param i32) (result i32)
    (block $d (block $c (block $b (block $a
      (br_table $a $b $c $a $d (local.get 0)))
      (return (i32.const 3))) (return (i32.const 1))) (return (i32.const 4)))
    (i32.const 15))
  (func (export "loops are aligned, what only jumps back is not") (param $p i32) (param $n i32) (result i32) (local $sum i32)
    (loop $outer
      (local.set $p (i32.load (local.get $p)))
      (loop $inner
        (if (i32.lt_u (i32.and (local.get $n) (i32.const 15)) (i32.const 3))
          (then (local.set $sum (i32.mul (local.get $sum) (local.get $n))))
          (else (local.set $sum (i32.xor (local.get $sum) (local.get $p)))))
        (br_if $inner (i32.and (local.tee $n (i32.sub (local.get $n) (i32.const 1))) (i32.const 63))))
      (br_if $outer (local.get $n)))
    (local.get $sum)))
