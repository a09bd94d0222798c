import type { FuncType } from "../wasm/types.ts";
import type { Signature, Type } from "./ir.ts";

/** The function's signature in terms of the types that the compiler translates. */
export function signatureOf(type: FuncType): Signature {
  return { params: type.params as Type[], results: type.results as Type[] };
}
