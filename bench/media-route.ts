/** The calls of the media bench: two phones each, on loopback addresses of their own. */
export const PHONE_A = '127.77.1.1';
export const PHONE_B = '127.77.1.2';

/** Where the phones of one call are, and where they send to. */
export interface Route {
  readonly aPort: number;
  readonly bPort: number;
  readonly aTarget: number;
  readonly bTarget: number;
}

/** Something that relays all calls, and the processes it costs. */
export interface Relay {
  readonly aIp: string;
  readonly bIp: string;
  readonly routes: readonly Route[];
  readonly pids: readonly number[];
  /** How long its workers stood still to collect garbage since the last call, ms each; about a second late. */
  takePauses?(): readonly number[];
  stop(): Promise<void>;
}

export function phonePorts(call: number): { readonly aPort: number; readonly bPort: number } {
  return { aPort: 30_000 + 2 * call, bPort: 30_000 + 2 * call };
}
