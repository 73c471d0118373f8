/**
 * The history of a workload: a file that is only appended to, one line for each operation. A letter says what the line tells, numbers follow;
 * times are microseconds since the load began, by the monotonic clock.
 *
 * h {…}                              what the load is (JSON)
 * u ID                               ids up to this one may have been sent; on disk before the first of them is
 * w N TIMELINE SERVER                reign N: a server that acknowledges, on a timeline
 * e N TEXT                           reason N: why an operation did not succeed
 * o ID WAY DUE SENT DONE REIGN LSN   acknowledged. SENT counts from DUE, DONE from SENT
 * f ID WAY DUE SENT DONE REASON      it is known that it did not happen
 * i ID WAY DUE SENT DONE REASON      nobody knows whether it happened
 * x ID WAY DUE                       never sent: no connection was free in time
 * c WAY AT REASON                    an attempt to connect failed
 * s WAY SENT DONE REIGN ID…          ids that a client has read, those that were read before left out
 * l WAY SENT DONE REIGN KEY SAME ID… a list as a client has read it: its first SAME ids are those of the line about this list before
 * p AT NAME TEXT                     a phase begins, or an event
 *
 * An id that was reserved and has no line is unknown. A last line without its end was cut by a crash and counts as none.
 */

/** `inside`: to one node and no other, whoever leads, as a client does that was cut off together with it. */
export const WAYS = ["direct", "pooled", "inside"] as const;
export type Way = (typeof WAYS)[number];

export interface Header {
  format: 1;
  /** ISO, of the moment that times count from. */
  began: string;
  /** Operations due per second, by each way that is taken. */
  rate: number;
  ways: Way[];
  /** An operation that is acknowledged later than this after it was due has failed a client, ms. */
  deadline_ms: number;
  /** The number of lists. An id is appended to the list that has the number `id % lists`. */
  lists: number;
}

export interface Reign {
  timeline: number;
  server: string;
}

/** Told of each line in their order. `way` is a place in WAYS. */
export interface Visitor {
  header(header: Header): void;
  reserved(upTo: number): void;
  reign(n: number, reign: Reign): void;
  reason(n: number, text: string): void;
  ok(
    id: number,
    way: number,
    due: number,
    sent: number,
    done: number,
    reign: number,
    lsn: number,
  ): void;
  failed(id: number, way: number, due: number, sent: number, done: number, reason: number): void;
  unknown(id: number, way: number, due: number, sent: number, done: number, reason: number): void;
  unsent(id: number, way: number, due: number): void;
  refused(way: number, at: number, reason: number): void;
  /** The numbers after the first four of the line are ids; the array is used again for the next line. */
  seen(done: number, reign: number, numbers: readonly number[], from: number, to: number): void;
  list(
    at: { done: number; reign: number; key: number; same: number },
    numbers: readonly number[],
    from: number,
    to: number,
  ): void;
  phase(at: number, name: string, text: string): void;
}
