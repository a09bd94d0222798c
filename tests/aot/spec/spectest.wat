;; The module that the scripts of the official test suite import from, without what needs floating point.
(module
  (func (export "print"))
  (func (export "print_i32") (param i32))
  (func (export "print_i64") (param i64))
  (global (export "global_i32") i32 (i32.const 666))
  (global (export "global_i64") i64 (i64.const 666))
  (table (export "table") 10 20 funcref)
  (memory (export "memory") 1 2))
