// AssemblyScript's integer types, as tsc sees them where host tools import kernel/abi. The 64-bit types are absent on
// purpose: they would be numbers that lose bits.
declare type u8 = number;
declare type u16 = number;
declare type u32 = number;
declare type i32 = number;
declare type usize = number;
/** A constant table: an array to tsc. */
declare type StaticArray<T> = T[];
