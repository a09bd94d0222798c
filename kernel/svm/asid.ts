// Address-space identifiers: which translations in the TLB are whose (APM volume 2, "TLB Control", "Address Space
// Identifiers"). Each CPU hands out its own 1, 2, 3 … in generations; when they run out it flushes all and starts the next
// generation. A vCPU whose identifier is of another CPU or generation gets a new one when it is loaded.
import { phys_store32 } from "../arch/intrinsics";
import { MAX_CPUS } from "../lib/limits";
import { svmAsidCount } from "./capabilities";
import { SvmVcpu } from "./svm";
import { CLEAN_ASID, TLB_FLUSH_ALL, VMCB_ASID } from "./vmcb";

@unmanaged
class AsidPool {
  /** From 1; a vCPU's generation 0 is never current. */
  generation: u64;
  next: u32;
  reserved: u32;
}

const POOL_BYTES: usize = 16;
const pools = memory.data(MAX_CPUS * 16, 16);
const FIRST_ASID: u32 = 1;

function poolOf(cpu: u32): AsidPool {
  assert(cpu < MAX_CPUS, "svm: CPU index");
  return changetype<AsidPool>(pools + cpu * POOL_BYTES);
}

/** On enabling AMD-V on a CPU. */
export function asidPrepare(cpu: u32): void {
  const pool = poolOf(cpu);
  pool.generation = 1;
  pool.next = FIRST_ASID;
}

/** Gives the vCPU an identifier that is valid on this CPU. The first user of a new generation flushes the TLB. */
export function asidAssign(svm: SvmVcpu, cpu: u32): void {
  const pool = poolOf(cpu);
  if (svm.generation == pool.generation && svm.cpu == cpu) return;
  if (pool.next >= svmAsidCount()) {
    pool.generation++;
    pool.next = FIRST_ASID;
    svm.tlbControl = TLB_FLUSH_ALL;
  }
  svm.asid = pool.next++;
  svm.generation = pool.generation;
  svm.cpu = cpu;
  phys_store32(svm.vmcb + VMCB_ASID, svm.asid);
  svm.clean &= ~CLEAN_ASID;
}
