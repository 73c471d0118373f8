/** What `PGDBA_SOURCE` is to programs that tests start: the sources, or the bundle where `run.ts` has just had it built. */
export const PGDBA_SOURCE = process.env["PGDBA_SOURCE"] ?? "1";
