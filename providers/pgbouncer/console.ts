import type { Client } from "pg";
import { PgdbaError, toPgdbaError } from "../../engine/errors.ts";
import { connect, destroy, type SslMode } from "../postgres/connect.ts";

export interface ConsoleSpec {
  /** A name, an address, or the folder of its socket. */
  host: string;
  port: number;
  user: string;
  password?: string | undefined;
  sslmode?: SslMode | undefined;
  sslrootcert?: string | undefined;
}

export type Row = Record<string, unknown>;

/** The database that PgBouncer itself answers for. */
export const CONSOLE = "pgbouncer";
/** PostgreSQL's types of what is counted, 64-bit integers and numerics, which the library gives as text. */
const COUNTED = [20, 1700];
const SQLSTATE = /^[0-9A-Z]{5}$/;
const CONNECT_MS = 3000;
const ANSWER_MS = 5000;

/** A session with PgBouncer's console, which knows the simple protocol alone. */
export class Console {
  readonly #client: Client;
  readonly #where: string;
  #lost = false;
  /** Is called once, when PgBouncer has ended the session. */
  onLost: () => void = () => {};

  private constructor(client: Client, where: string) {
    this.#client = client;
    this.#where = where;
    client.once("end", () => this.#end());
    client.on("error", () => this.#end());
  }

  /** @throws PgdbaError connection_failed */
  static async open(spec: ConsoleSpec): Promise<Console> {
    const where = `${spec.host}:${spec.port}`;
    try {
      const client = await connect({
        host: spec.host,
        port: spec.port,
        user: spec.user,
        database: CONSOLE,
        // A role without one is let in where PgBouncer asks for none.
        password: () => spec.password ?? "",
        sslmode: spec.sslmode ?? "prefer",
        sslrootcert: spec.sslrootcert,
        application_name: "pgdba",
        connect_timeout_ms: CONNECT_MS,
      });
      return new Console(client, where);
    } catch (cause) {
      const { message, retryable, data } = toPgdbaError(cause);
      throw new PgdbaError("connection_failed", `The console of PgBouncer: ${message}`, {
        hint: `Check that PgBouncer runs at ${where}, that ${spec.user} is among its admin_users, and the password.`,
        retryable,
        data,
        cause,
        nothingDone: true,
      });
    }
  }

  get lost(): boolean {
    return this.#lost;
  }

  /**
   * Sends one command and gives its rows. Waits for ever with `ms` 0, as PAUSE may have to.
   * @throws PgdbaError query_failed: PgBouncer refused it | connection_failed: it is gone, or did not answer
   */
  async ask(command: string, ms = ANSWER_MS): Promise<Row[]> {
    let timer: Timer | undefined;
    const late = new Promise<never>((_, fail) => {
      if (ms > 0) timer = setTimeout(() => fail(new Error(`no answer within ${ms / 1000} s`)), ms);
    });
    try {
      const answer = await Promise.race([this.#client.query(command), late]);
      const whole = answer.fields.filter(({ dataTypeID }) => COUNTED.includes(dataTypeID));
      return (answer.rows as Row[]).map((row) => ({
        ...row,
        ...Object.fromEntries(whole.map(({ name }) => [name, counted(row[name])])),
      }));
    } catch (cause) {
      const { message, code } = cause as Error & { code?: unknown };
      // A FATAL of its own, such as at its shutdown, ends the session as well: the socket says so.
      if (typeof code === "string" && SQLSTATE.test(code) && !this.#lost)
        throw new PgdbaError("query_failed", `PgBouncer refused ${command}: ${message}`, {
          hint: "Look at PgBouncer's log, and at SHOW DATABASES on its console.",
          cause,
        });
      this.close();
      throw new PgdbaError("connection_failed", `PgBouncer at ${this.#where}: ${message}`, {
        hint: "Check that PgBouncer runs there.",
        retryable: true,
        cause,
      });
    } finally {
      clearTimeout(timer);
    }
  }

  close(): void {
    this.#lost = true;
    destroy(this.#client);
  }

  #end(): void {
    const isNew = !this.#lost;
    this.#lost = true;
    if (isNew) this.onLost();
  }
}

/** A number where it is exact, else its digits. */
function counted(value: unknown): unknown {
  return Number.isSafeInteger(Number(value)) && value !== null ? Number(value) : value;
}

/** A name of a database as the console reads it: no escape is needed but for the quote itself. */
export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
