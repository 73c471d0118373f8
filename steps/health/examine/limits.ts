export interface Limits {
  timeoutMs: number;
  lockTimeoutMs: number;
  signal: AbortSignal;
}
