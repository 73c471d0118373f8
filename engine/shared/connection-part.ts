/** A URI, `user:password@host` or a connection string where one part belongs: it may hold a password, so it is not repeated. */
const WHOLE =
  /:\/\/|:[^]*@|\b(host|hostaddr|port|user|dbname|password|passfile|service|sslmode)\s*=/i;

/** True when a text is more than the one part of a connection (host, port, user, database) that it should be. */
export function isWhole(text: string): boolean {
  return WHOLE.test(text);
}
