/**
 * Preloaded into the command line: it kills itself with SIGKILL before it sends the first POST to KILL_POST, a moment after it has sent it, or when it is
 * answered, as KILL_WHEN says.
 */
const path = process.env.KILL_POST ?? "";
const when = process.env.KILL_WHEN;

function die(): void {
  process.kill(process.pid, "SIGKILL");
}

const send = globalThis.fetch;
globalThis.fetch = Object.assign(async (...request: Parameters<typeof fetch>) => {
  const meant = request[1]?.method === "POST" && String(request[0]).endsWith(path);
  if (meant && when === "before") die();
  const answer = send(...request);
  // Patroni has it by then, and has not answered.
  if (meant && when === "during") setTimeout(die, 100);
  const response = await answer;
  if (meant && when === "after") die();
  return response;
}, send);
