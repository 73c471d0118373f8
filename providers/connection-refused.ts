/** Whether no connection was made, by the codes of Bun and of the system: then nothing was told. */
export function isConnectionRefused(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return code === "ConnectionRefused" || code === "ECONNREFUSED";
}
