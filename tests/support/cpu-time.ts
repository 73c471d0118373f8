/** What this process has computed so far, ms: unlike the clock it stands still while others have the processor. */
export function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
