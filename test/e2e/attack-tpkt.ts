/** An attacker over TPKT: connections from any loopback address that write octets and keep what comes back. */
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { H323UserInformation, SetupUUIE } from '../../src/h323/asn1/h225-types.ts';
import { ENDPOINT_TYPE, H225_PROTOCOL } from '../../src/h323/identity.ts';
import { decodeSignalling, encodeSignalling } from '../../src/h323/messages.ts';
import { TpktFramer, tpktPacket } from '../../src/h323/tpkt.ts';

export interface TpktTarget {
  readonly ip: string;
  readonly port: number;
}

export class TpktAttacker {
  readonly #socket: Socket;
  readonly #framer = new TpktFramer();
  /** Type and cause of what came back: `releaseComplete 111`. */
  readonly answers: string[] = [];
  open = false;
  closed = false;

  constructor(to: TpktTarget, from: string) {
    this.#socket = connect({ host: to.ip, port: to.port, localAddress: from });
    this.#socket.on('connect', () => {
      this.open = true;
    });
    this.#socket.on('data', (bytes) => this.#data(bytes));
    this.#socket.on('error', () => undefined);
    this.#socket.on('close', () => {
      this.closed = true;
    });
  }

  #data(bytes: Uint8Array): void {
    for (const payload of this.#framer.push(bytes)) {
      const decoded = decodeSignalling(payload);
      if (!decoded.ok) {
        this.answers.push('undecodable');
        continue;
      }
      const { type, cause } = decoded.value.q931;
      this.answers.push(cause === undefined ? type : `${type} ${cause.value}`);
    }
  }

  raw(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  send(payload: Uint8Array): void {
    this.raw(tpktPacket(payload));
  }

  end(): void {
    this.#socket.destroy();
  }
}

type Pdu = H323UserInformation['h323UuPdu'];

/** A Setup to `number`, by default one that is in order. */
export function setupTo(
  number: string,
  more: {
    readonly reference?: number;
    readonly setup?: Partial<SetupUUIE>;
    readonly pdu?: Partial<Pdu>;
  } = {},
): Uint8Array {
  const { reference = 1, setup, pdu } = more;
  const guid = new Uint8Array(16).fill(reference & 255);
  return encodeSignalling(
    { type: 'setup', callReference: reference, fromDestination: false },
    {
      h323UuPdu: {
        h323MessageBody: {
          choice: 'setup',
          value: {
            protocolIdentifier: H225_PROTOCOL,
            sourceInfo: ENDPOINT_TYPE,
            destinationAddress: [{ choice: 'dialledDigits', value: number }],
            activeMC: false,
            conferenceID: guid,
            conferenceGoal: { choice: 'create', value: null },
            callType: { choice: 'pointToPoint', value: null },
            callIdentifier: { guid },
            ...setup,
          },
        },
        h245Tunnelling: true,
        ...pdu,
      },
    },
  );
}

/** A Facility of the call that `setupTo` began with this reference, with tunnelled H.245. */
export function facilityWith(reference: number, h245Control: readonly Uint8Array[]): Uint8Array {
  return encodeSignalling(
    { type: 'facility', callReference: reference, fromDestination: false, facility: new Uint8Array(0) },
    {
      h323UuPdu: {
        h323MessageBody: {
          choice: 'facility',
          value: {
            protocolIdentifier: H225_PROTOCOL,
            callIdentifier: { guid: new Uint8Array(16).fill(reference & 255) },
            reason: { choice: 'transportedInformation', value: null },
          },
        },
        h245Tunnelling: true,
        h245Control,
      },
    },
  );
}

/** Somebody who must never be called. */
export class Victim {
  readonly #server: Server;
  connections = 0;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async listen(ip: string): Promise<Victim> {
    const server = createServer();
    const victim = new Victim(server);
    server.on('connection', (socket) => {
      victim.connections++;
      socket.destroy();
    });
    await new Promise<void>((done) => server.listen(0, ip, done));
    return victim;
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port;
  }

  stop(): void {
    this.#server.close();
  }
}
