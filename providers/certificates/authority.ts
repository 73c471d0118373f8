/**
 * A cluster's own authority, and the certificates that it signs for its nodes. Keys are made and used by the runtime's own cryptography; only
 * the certificate's bytes are put together here (RFC 5280), for the runtime reads certificates and makes none.
 */
import {
  createHash,
  createPrivateKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  X509Certificate,
} from "node:crypto";
import { isIP, isIPv6 } from "node:net";
import { PgdbaError } from "../../engine/errors.ts";
import {
  around,
  bits,
  integer,
  numbered,
  octets,
  oid,
  sequence,
  set,
  text,
  time,
  truth,
} from "./der.ts";

const DAY_MS = 86_400_000;
/** Longer than a cluster lives: a new authority would have to be told to all clients. */
const AUTHORITY_DAYS = 20 * 365;
export const NODE_DAYS = 2 * 365;
/** Clocks of nodes may be behind. */
const SKEW_MS = 3_600_000;

const OID = {
  commonName: "2.5.4.3",
  ecdsaWithSha256: "1.2.840.10045.4.3.2",
  subjectKeyIdentifier: "2.5.29.14",
  keyUsage: "2.5.29.15",
  subjectAltName: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  authorityKeyIdentifier: "2.5.29.35",
  extendedKeyUsage: "2.5.29.37",
  serverAuth: "1.3.6.1.5.5.7.3.1",
  clientAuth: "1.3.6.1.5.5.7.3.2",
};
/** Bit strings of keyUsage, with the bits that do not count. */
const SIGNS_CERTIFICATES = bits(Buffer.from([0b0000_0110]), 1);
const SIGNS = bits(Buffer.from([0b1000_0000]), 7);

export interface Authority {
  key: KeyObject;
  certificate: X509Certificate;
}

/** A new authority: its private key and its certificate, as PEM, one behind the other. */
export function makeAuthority(name: string, now = new Date()): string {
  const { privateKey, publicKey } = newKey();
  const pem = certificateFor({
    subject: name,
    issuer: name,
    publicKey,
    signer: { key: privateKey, keyId: keyIdOf(publicKey) },
    from: new Date(now.getTime() - SKEW_MS),
    until: new Date(now.getTime() + AUTHORITY_DAYS * DAY_MS),
    extensions: [
      extension(OID.basicConstraints, true, sequence(truth(), integer(Buffer.from([0])))),
      extension(OID.keyUsage, true, SIGNS_CERTIFICATES),
    ],
  });
  return pemOfKey(privateKey) + pem;
}

/** The authority in what `makeAuthority` gave. @throws PgdbaError invalid_config */
export function authorityIn(pem: string): Authority {
  try {
    const authority = {
      key: createPrivateKey(pem),
      certificate: new X509Certificate(certificateIn(pem)),
    };
    if (!authority.certificate.checkPrivateKey(authority.key))
      throw new Error("key and certificate differ");
    return authority;
  } catch (cause) {
    throw new PgdbaError(
      "invalid_config",
      "The secret of the cluster's authority has no private key with its certificate",
      {
        hint: "Put back the file that `cluster init --tls` made, from a copy of the state folder; `pgdba cluster show` tells where it is.",
        cause,
        nothingDone: true,
      },
    );
  }
}

/** Its certificate alone, which everybody may read. */
export function certificateIn(pem: string): string {
  const found = /-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----/.exec(pem);
  return found === null ? "" : `${found[0]}\n`;
}

/**
 * A new key with a certificate for whoever is reached by these names and addresses, as one PEM file: so that whoever replaces it replaces both
 * at once. It serves a server, and members among themselves.
 */
export function issue(
  { key, certificate }: Authority,
  node: string,
  names: readonly string[],
  now = new Date(),
): { pem: string; notAfter: Date } {
  const { privateKey, publicKey } = newKey();
  // None is good for longer than whoever has signed it.
  const until = new Date(
    Math.min(now.getTime() + NODE_DAYS * DAY_MS, Date.parse(certificate.validTo)),
  );
  const pem = certificateFor({
    subject: node,
    issuer: commonNameOf(certificate),
    publicKey,
    signer: { key, keyId: keyIdOf(certificate.publicKey) },
    from: new Date(now.getTime() - SKEW_MS),
    until,
    extensions: [
      extension(OID.basicConstraints, true, sequence()),
      extension(OID.keyUsage, true, SIGNS),
      extension(OID.extendedKeyUsage, false, sequence(oid(OID.serverAuth), oid(OID.clientAuth))),
      extension(OID.subjectAltName, false, sequence(...[...new Set(names)].map(generalName))),
    ],
  });
  return { pem: pemOfKey(privateKey) + pem, notAfter: until };
}

interface Wanted {
  subject: string;
  issuer: string;
  publicKey: KeyObject;
  signer: { key: KeyObject; keyId: Buffer };
  from: Date;
  until: Date;
  extensions: readonly Buffer[];
}

function certificateFor({
  subject,
  issuer,
  publicKey,
  signer,
  from,
  until,
  extensions,
}: Wanted): string {
  const algorithm = sequence(oid(OID.ecdsaWithSha256));
  // Positive, as the standard has it, and never the same twice.
  const serial = randomBytes(16);
  serial[0] = (serial[0]! & 0x7f) | 0x40;
  const all = [
    ...extensions,
    extension(OID.subjectKeyIdentifier, false, octets(keyIdOf(publicKey))),
    extension(OID.authorityKeyIdentifier, false, sequence(numbered(0, signer.keyId))),
  ];
  const body = sequence(
    around(0, integer(Buffer.from([2]))),
    integer(serial),
    algorithm,
    nameOf(issuer),
    sequence(time(from), time(until)),
    nameOf(subject),
    publicKey.export({ type: "spki", format: "der" }),
    around(3, sequence(...all)),
  );
  const signature = sign("sha256", body, signer.key);
  const der = sequence(body, algorithm, bits(signature));
  const lines = der.toString("base64").replace(/.{64}/g, "$&\n").trimEnd();
  return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`;
}

function extension(id: string, isCritical: boolean, value: Uint8Array): Buffer {
  return sequence(oid(id), ...(isCritical ? [truth()] : []), octets(value));
}

const nameOf = (commonName: string): Buffer =>
  sequence(set(sequence(oid(OID.commonName), text(commonName))));

/** Of our own authorities, which have no other name. */
function commonNameOf({ subject }: X509Certificate): string {
  return /^CN=(.*)$/m.exec(subject)?.[1] ?? "";
}

/** A name of DNS, or an address. */
function generalName(name: string): Buffer {
  if (isIP(name) === 0) return numbered(2, Buffer.from(name, "latin1"));
  return numbered(7, isIPv6(name) ? v6(name) : Buffer.from(name.split(".").map(Number)));
}

function v6(address: string): Buffer {
  const [head = "", tail] = new URL(`http://[${address}]`).hostname.slice(1, -1).split("::");
  const words = (part: string): string[] => part.split(":").filter(Boolean);
  const [first, last] = [words(head), words(tail ?? "")];
  const zeros = Array<string>(8 - first.length - last.length).fill("0");
  return Buffer.from(
    [...first, ...zeros, ...last].map((word) => word.padStart(4, "0")).join(""),
    "hex",
  );
}

function newKey(): { privateKey: KeyObject; publicKey: KeyObject } {
  return generateKeyPairSync("ec", { namedCurve: "prime256v1" });
}

const pemOfKey = (key: KeyObject): string => key.export({ type: "pkcs8", format: "pem" }) as string;

/** RFC 5280, 4.2.1.2: the hash of the key's bits, which are the end of its description. */
function keyIdOf(key: KeyObject): Buffer {
  const { x = "", y = "" } = key.export({ format: "jwk" });
  const point = [Buffer.from([4]), Buffer.from(x, "base64url"), Buffer.from(y, "base64url")];
  return createHash("sha1").update(Buffer.concat(point)).digest();
}
