;; asm
;; Division: explicit checks only where the instruction's own fault would not tell what happened.
(module
  (func (export "unsigned") (param i32 i32) (result i32) (i32.div_u (local.get 0) (local.get 1)))
  (func (export "signed") (param i64 i64) (result i64) (i64.div_s (local.get 0) (local.get 1)))
  (func (export "signed remainder of -1 is 0") (param i32 i32) (result i32) (i32.rem_s (local.get 0) (local.get 1)))
  (func (export "by 8") (param i32) (result i32) (i32.div_s (local.get 0) (i32.const 8)))
  (func (export "by 10") (param i32) (result i32) (i32.div_u (local.get 0) (i32.const 10)))
  (func (export "by 7") (param i32) (result i32) (i32.div_u (local.get 0) (i32.const 7)))
  (func (export "by -3") (param i32) (result i32) (i32.div_s (local.get 0) (i32.const -3)))
  (func (export "64 bits by 1000") (param i64) (result i64) (i64.rem_u (local.get 0) (i64.const 1000))))
