/** A position in WAL as PostgreSQL writes it. */
export function lsnText(lsn: bigint): string {
  const part = (bits: bigint): string => bits.toString(16).toUpperCase();
  return `${part(lsn >> 32n)}/${part(lsn & 0xffff_ffffn)}`;
}
