import binaryen from "binaryen";

// Names of functions reach the compiler.
binaryen.setDebugInfo(true);

/** A module in the text format as bytes. */
export function assemble(wat: string): Uint8Array {
  const module = binaryen.parseText(wat);
  module.setFeatures(binaryen.Features.All);
  try {
    return module.emitBinary();
  } finally {
    module.dispose();
  }
}
