;; pass prepare after clean,gvn
;; Edges from a branch into a block with phis get a block for the copies; blocks know how deep in loops they are.
(module
  (func (export "critical") (param $x i32) (param $n i32) (result i32)
    (block $out (result i32)
      (loop $again
        (drop (br_if $out (local.get $x) (i32.gt_u (local.get $x) (i32.const 100))))
        (local.set $x (i32.mul (local.get $x) (i32.const 3)))
        (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
      (i32.const 0))))
