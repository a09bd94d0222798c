;; dump ssa,clean,gvn,memory,branches,threading,switch,loops,select,regalloc
;; One function through every stage.
(module
  (memory 1)
  (func (export "find") (param $p i32) (param $key i32) (result i32)
    (block $done (result i32)
      (loop $again
        (drop (br_if $done (i32.const 0) (i32.eqz (local.get $p))))
        (drop (br_if $done (i32.load offset=8 (local.get $p))
          (i32.eq (i32.load offset=4 (local.get $p)) (local.get $key))))
        (local.set $p (i32.load (local.get $p)))
        (br $again))
      (unreachable))))
