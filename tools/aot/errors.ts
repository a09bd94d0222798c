/** Why the compiler refuses a module. */
export type RefusalKind =
  /** The bytes are not a WebAssembly binary module. */
  | "malformed"
  /** The module decodes but breaks a validation rule. */
  | "invalid"
  /** The module is valid, but uses a feature that this compiler does not translate. */
  | "unsupported"
  /** An import is missing in the other modules of the process, or is of another type there. */
  | "unlinkable";

/**
 * A module that cannot be compiled. `offset` is the byte offset in the module of the
 * construct at fault, so that it can be found with any WebAssembly disassembler.
 */
export class CompileError extends Error {
  constructor(
    readonly kind: RefusalKind,
    readonly what: string,
    readonly offset: number,
    readonly where = "",
  ) {
    super(`${kind} module: ${what} (at byte 0x${offset.toString(16)}${where ? `, ${where}` : ""})`);
    this.name = "CompileError";
  }

  /** The same error with more about its place. */
  in(where: string): CompileError {
    return new CompileError(
      this.kind,
      this.what,
      this.offset,
      [this.where, where].filter(Boolean).join(", "),
    );
  }
}

export function malformed(message: string, offset: number): CompileError {
  return new CompileError("malformed", message, offset);
}

export function invalid(message: string, offset: number): CompileError {
  return new CompileError("invalid", message, offset);
}

/** An error of this compiler itself: an invariant that does not hold, whatever the input. */
export function internalError(message: string): Error {
  return new Error(`internal error of the code generator: ${message}; please report it with the module`);
}
