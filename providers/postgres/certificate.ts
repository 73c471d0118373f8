import { connect as connectSocket, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";

export interface Certificate {
  subject: string;
  issuer: string;
  /** ISO 8601. */
  notAfter: string;
}

/** PostgreSQL's SSLRequest code. Format: PostgreSQL documentation, "Message Formats". */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);

/**
 * The certificate that a server shows, whoever has signed it; null where it has no TLS or does not answer in time. Of PostgreSQL (`postgres`)
 * it is asked for first, as its clients do.
 */
export async function certificateOf(
  at: { host: string; port: number },
  { postgres, timeoutMs }: { postgres: boolean; timeoutMs: number },
): Promise<Certificate | null> {
  const plain = postgres ? await startTls(at, timeoutMs) : undefined;
  if (plain === null) return null;
  return new Promise((done) => {
    const socket = connectTls({
      ...(plain === undefined ? at : { socket: plain }),
      rejectUnauthorized: false,
    });
    const end = (found: Certificate | null): void => {
      socket.destroy();
      plain?.destroy();
      done(found);
    };
    socket.setTimeout(timeoutMs, () => end(null));
    socket.once("error", () => end(null));
    socket.once("close", () => end(null));
    socket.once("secureConnect", () => {
      const { subject, issuer, valid_to } = socket.getPeerCertificate();
      const until = new Date(valid_to);
      end(
        Number.isNaN(until.getTime())
          ? null
          : {
              subject: nameIn(subject),
              issuer: nameIn(issuer),
              notAfter: until.toISOString().replace(".000Z", "Z"),
            },
      );
    });
  });
}

/** A socket whose server has agreed to TLS; null when it has not. */
export function startTls(
  at: { host: string; port: number },
  timeoutMs: number,
): Promise<Socket | null> {
  return new Promise((done) => {
    const socket = connectSocket(at);
    const fail = (): void => {
      socket.destroy();
      done(null);
    };
    socket.setTimeout(timeoutMs, fail);
    socket.once("error", fail);
    // A port that is published for a server that is not up takes a connection and ends it at once.
    socket.once("close", fail);
    socket.once("connect", () => socket.write(SSL_REQUEST));
    socket.once("data", (answer: Buffer) => {
      if (answer.toString("latin1") !== "S") return fail();
      socket.removeAllListeners();
      done(socket);
    });
  });
}

/** What people know a certificate by. */
function nameIn(name: unknown): string {
  const { CN, O } = (name ?? {}) as { CN?: string | string[]; O?: string | string[] };
  return [CN ?? O ?? ""].flat()[0] ?? "";
}
