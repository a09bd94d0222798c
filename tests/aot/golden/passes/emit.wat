;; pass emit
;; Frame and saved registers, labels where jumps need them, traps out of line, jump tables.
(module
  (func $f (export "frame") (param i32) (result i32)
    (i32.add (call $f (i32.div_s (local.get 0) (i32.const -3))) (local.get 0)))
  (func (export "divide") (param i32 i32) (result i32)
    (i32.div_s (local.get 0) (local.get 1)))
  (func (export "table") (param i32) (result i32)
    (block $d (block $c (block $b (block $a
      (br_table $a $b $c $a $d (local.get 0)))
      (return (i32.const 3))) (return (i32.const 1))) (return (i32.const 4)))
    (i32.const 15)))
