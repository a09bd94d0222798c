/** Sources of the exit path: every exit, or every exit of a frequent kind, goes through them. */
const EXIT_PATH = [
  /^kernel\/run\//,
  /^kernel\/exits\/(advance|cpuid|dispatch|hypercall|msr|nestedfault|emulate\/(linear|fetch))\//,
  /^kernel\/exits\/io\/handleIo/,
  /^kernel\/vcpu\/(?!live|reset|reinject|debug)/,
  /^kernel\/(svm|vmx)\/(backend\/(enter|run|loadGroups|needFrames|windows|flush)|decode|known|state|vmcb|vmcs)/,
  /^kernel\/trace\/(counters|details)\//,
  /^kernel\/mm\/trail\/trailHolds/,
  /^kernel\/guest\/(cpuid|msr|port-access|lines|counters|platform|settle)\//,
  /^kernel\/guest\/mmio-access\/(?!readDevice|writeDevice)/,
  /^kernel\/devices\/lapic/,
  /^kernel\/arch\/(clock|percpu)\//,
  /^kernel\/lib\/(bits|mul|time)/,
];

/** Whether the code generator should inline between a function and others of this kind: by the name that asc gives it. */
export function isHot(name: string): boolean {
  return EXIT_PATH.some((source) => source.test(name));
}
