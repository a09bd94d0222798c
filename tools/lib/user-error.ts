// Errors made for people: what happened, where, and what to do. The command line prints them as one paragraph without a
// stack trace; anything else that is thrown is a bug in these tools and keeps its trace.

export class UserError extends Error {
  /** @param message one paragraph: what happened, where, what to do. */
  constructor(message: string) {
    super(message);
    this.name = "UserError";
  }
}

/** True for errors of the operating system (ENOENT, EACCES, EADDRINUSE …). */
export function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && typeof (error as NodeJS.ErrnoException).code === "string";
}

/** The words of an operating-system error, without Node's call and path: "no such file or directory". */
export function systemErrorText(error: unknown): string {
  if (!isSystemError(error)) return String(error);
  return /^[A-Z0-9]+: ([^,]+)/.exec(error.message)?.[1] ?? error.message;
}
