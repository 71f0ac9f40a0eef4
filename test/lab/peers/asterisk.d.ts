import type { Installed } from '../install.ts';
import { type Background } from '../run.ts';
import { type Place } from '../topology.ts';
export interface AsteriskOptions {
  readonly installed: Installed;
  readonly folder: string;
  readonly place: Place;
  readonly name: string;
  readonly ip: string;
  /** Where `8N` and `PJSIP/N@trunk` go: host:port[;transport=tcp]. */
  readonly trunk: string;
  readonly sipPort?: number;
  readonly tlsPort?: number;
  readonly codecs?: string;
  /** Hz of the tone extensions. */
  readonly tone?: number;
  readonly userAgent?: string;
  readonly sdpOwner?: string;
  readonly sdpSession?: string;
  readonly hostname?: string;
  readonly fromUser?: string;
  readonly rtpPorts?: readonly [number, number];
  /** Logs warnings only, for measurements. */
  readonly quiet?: boolean;
}
export declare class Asterisk {
  #private;
  readonly folder: string;
  readonly options: AsteriskOptions;
  readonly process: Background;
  private constructor();
  static start(options: AsteriskOptions): Promise<Asterisk>;
  /** A line of Asterisk's console; its answer. */
  cli(command: string): string;
  /** Calls `number` through the trunk and joins it with an extension of [legs]. */
  call(number: string, leg: string): void;
  /** Dials `number` by the dialplan, so that the cause it ends with is written down; see `cause`. */
  dial(number: string): void;
  /** The Q.850 cause the last `dial` of this number ended with. */
  cause(number: string): number | undefined;
  channels(): number;
  hangupAll(): void;
  log(file: 'full' | 'dtmf.txt' | 'causes.txt'): string;
  /** Recordings of what the PBX heard, oldest first. */
  recordings(): string[];
  stop(): Promise<void>;
}
/** A self-signed certificate for the PBX's address: good enough for SIP over TLS inside the intranet. */
export declare function certificate(folder: string, ip: string): void;
