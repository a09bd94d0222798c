import { expect, test } from "vitest";
import { loadKernel } from "./harness.ts";
import { VMCS_ENCODINGS } from "./vmcs-encodings.ts";

test("every derived field encoding is the manual's, and none is missing", async () => {
  const { exports } = await loadKernel(["kernel/vmx/fields.ts"]);
  const derived = Object.fromEntries(
    Object.entries(exports)
      .filter(([, value]) => (value as unknown) instanceof WebAssembly.Global)
      .map(([name, value]) => [name, (value as unknown as WebAssembly.Global).value]),
  );
  expect(derived).toEqual(VMCS_ENCODINGS);
});
