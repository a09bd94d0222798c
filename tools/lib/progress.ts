// Progress for people, on standard error: standard output belongs to the guest and to results.

/** Takes one line of progress, without its newline. */
export type Log = (line: string) => void;

/** Prints every line. */
export const logToStderr: Log = (line) => {
  process.stderr.write(`${line}\n`);
};

/** Prints nothing. */
export const logNothing: Log = () => {};
