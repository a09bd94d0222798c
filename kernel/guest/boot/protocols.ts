// Which boot protocol a kernel image speaks. Asked in this order: an ELF may hold both a multiboot header and a PVH note,
// and the header wins, as with other loaders.
import { logHex, logText } from "../../lib/log";
import { problem, problemEnd, problemStart } from "../problem";
import { Vm } from "../vm";
import { bzimageLoad } from "./bzimage";
import { image32 } from "./image";
import { multibootLoad, multibootProbe } from "./multiboot";
import { placementStart } from "./placement";
import { pvhLoad, pvhProbe } from "./pvh";
import { hasSetupHeader } from "./setup-header";

/** Loads the VM's kernel and sets its boot vCPU up. False: the log says why not. */
export function loadKernel(vm: Vm): bool {
  placementStart(vm);
  const image = vm.kernel;
  if (image.bytes == 0)
    return problem(vm, "its kernel is an empty file", "Give a bzImage, PVH ELF or multiboot kernel");
  if (hasSetupHeader(image)) return bzimageLoad(vm);
  if (multibootProbe(image)) return multibootLoad(vm);
  if (pvhProbe(image)) return pvhLoad(vm);
  problemStart(vm);
  logText("its kernel is in no known format (first bytes ");
  logHex(image32(image, 0));
  logText(")");
  return problemEnd("Known ones: Linux bzImage, ELF with a PVH note, multiboot-1 kernel");
}
