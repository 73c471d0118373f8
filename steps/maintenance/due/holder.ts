/** A row of the check `horizon-held`, as far as it is read. */
export interface Holder {
  kind: string;
  /** Empty where it holds back all databases. */
  database: string;
  /** Transactions. */
  age: number;
  /** Since it began; below zero where the server does not know. */
  seconds: number;
  /** It keeps rows of the catalogue only. */
  catalog_only: boolean;
}

/** From this age on it is a warning whatever it holds back, as in the check itself. */
const OLD = 1_000_000;
/** Queries come and go: what is younger is soon gone by itself. */
const LEAST_SECONDS = 60;
/** A standby tells each ten seconds what it still needs, so that its horizon is always somewhat old. */
const STANDBY = 100_000;

/** Whether a vacuum of tables in this database would remove less because of it, and not only for a moment. */
export function matters(holder: Holder | undefined, database: string | undefined): boolean {
  if (holder === undefined || holder.age >= OLD) return true;
  if (holder.catalog_only) return false;
  if (holder.database !== "" && database !== undefined && holder.database !== database)
    return false;
  if (holder.kind === "standby feedback") return holder.age >= STANDBY;
  return holder.seconds < 0 || holder.seconds >= LEAST_SECONDS;
}
