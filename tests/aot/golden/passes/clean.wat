;; pass clean after 
;; Phis of one value, values without use, blocks that only follow each other, and code that is never reached.
(module
  (memory 1)
  (func (export "trivial phi") (param $x i32) (param $n i32) (result i32)
    (loop $again
      (local.set $x (local.get $x))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $x))
  (func (export "unused, but a load may trap") (param $x i32)
    (drop (i32.mul (local.get $x) (local.get $x)))
    (drop (i32.load (local.get $x))))
  (func (export "straight line") (param $x i32) (result i32)
    (block $a
      (block $b
        (local.set $x (i32.add (local.get $x) (i32.const 1)))
        (br $b))
      (local.set $x (i32.mul (local.get $x) (i32.const 3)))
      (br $a))
    (local.get $x)))
