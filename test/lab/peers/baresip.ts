/** baresip as an Internet phone (or any other SIP user agent): plays a tone, records what it hears, driven over its standard input. */
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import { join } from 'node:path';
import { type Background, sleep, until } from '../run.ts';
import { type Place, spawnInside } from '../topology.ts';
import { writeTone } from '../wav.ts';
import { certificate } from './asterisk.ts';

/** Longer than any call of the lab. */
const SAY_SECONDS = 60;

export type Transport = 'udp' | 'tcp' | 'tls';

export interface BaresipOptions {
  readonly folder: string;
  readonly place: Place;
  readonly name: string;
  readonly ip: string;
  readonly port?: number;
  readonly transport?: Transport;
  /** Hz of the tone that it says. */
  readonly tone: number;
  readonly user?: string;
  readonly password?: string;
  /** Registrar, host:port, where it shall register. */
  readonly registrar?: string;
  readonly answer?: 'auto' | 'manual';
  readonly codecs?: string;
  readonly rtpPorts?: readonly [number, number];
}

export class Baresip {
  readonly options: BaresipOptions;
  readonly process: Background;
  #seen = 0;

  private constructor(options: BaresipOptions, process: Background) {
    this.options = options;
    this.process = process;
  }

  static async start(options: BaresipOptions): Promise<Baresip> {
    prepare(options);
    const family = isIPv6(options.ip) ? '-6' : '-4';
    const process = spawnInside(options.place, `baresip ${options.name}`, 'baresip', [
      family,
      '-v',
      '-f',
      options.folder,
    ]);
    await until(`baresip ${options.name} ready`, 8000, () => {
      if (!process.running) throw new Error(`baresip ended: ${process.output}`);
      return process.output.includes('baresip is ready');
    });
    return new Baresip(options, process);
  }

  /** Where others call it. */
  get address(): string {
    const { ip, port } = this.options;
    return `${isIPv6(ip) ? `[${ip}]` : ip}:${port ?? 5060}`;
  }

  /** Dials `number` at host:port; resolves when the call stands. */
  async call(number: string, at: string, patienceMs = 8000): Promise<void> {
    this.dial(number, at);
    await this.heard(/Call established/, patienceMs);
  }

  dial(number: string, at: string): void {
    this.#seen = this.process.output.length;
    this.process.write(`/dial sip:${number}@${at}\n`);
  }

  /** Forget what was printed so far: `heard` looks only at what comes after. */
  mark(): void {
    this.#seen = this.process.output.length;
  }

  async heard(pattern: RegExp, patienceMs: number): Promise<RegExpExecArray> {
    const what = `baresip ${this.options.name} to print ${pattern}`;
    try {
      return await until(
        what,
        patienceMs,
        () => pattern.exec(this.process.output.slice(this.#seen)) ?? undefined,
      );
    } catch (error) {
      throw new Error(`${String(error)}; it printed:\n${this.process.output.slice(-1500)}`);
    }
  }

  async established(patienceMs = 8000): Promise<void> {
    await this.heard(/Call established/, patienceMs);
  }

  hold(): void {
    this.process.write('x');
  }

  resume(): void {
    this.process.write('X');
  }

  /** Digits as RFC 4733 events. */
  async dtmf(digits: string): Promise<void> {
    for (const digit of digits) {
      this.process.write(digit);
      await sleep(200);
      this.process.write('\u0004'); // key released
      await sleep(150);
    }
  }

  async hangup(): Promise<void> {
    this.process.write('b');
    await sleep(300);
  }

  /** The longest recording of what it heard in its last call; complete once the call has ended. */
  recording(): string {
    const files = readdirSync(this.options.folder)
      .filter((file) => file.endsWith('-dec.wav'))
      .map((file) => join(this.options.folder, file))
      .sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs);
    if (files[0] === undefined)
      throw new Error(`baresip ${this.options.name} recorded nothing:\n${this.process.output.slice(-1500)}`);
    return files[0];
  }

  async stop(): Promise<void> {
    if (this.process.running) this.process.write('/quit\n');
    if ((await this.process.wait(1500)) === undefined) await this.process.stop();
  }
}

function prepare(o: BaresipOptions): void {
  rmSync(o.folder, { recursive: true, force: true });
  mkdirSync(o.folder, { recursive: true });
  const host = isIPv6(o.ip) ? `[${o.ip}]` : o.ip;
  const [first, last] = o.rtpPorts ?? [30_000, 30_999];
  const modules = ['stdio', 'g711', 'aufile', 'aubridge', 'sndfile'].map((m) => `module ${m}.so`).join('\n');
  certificate(o.folder, o.ip);
  writeTone(join(o.folder, 'say.wav'), o.tone, SAY_SECONDS);
  // re wants key and certificate in one file
  writeFileSync(
    join(o.folder, 'both.pem'),
    `${readFileSync(join(o.folder, 'tls.key'), 'utf8')}${readFileSync(join(o.folder, 'tls.crt'), 'utf8')}`,
  );
  writeFileSync(
    join(o.folder, 'config'),
    `sip_listen ${host}:${o.port ?? 5060}
sip_certificate ${o.folder}/both.pem
call_max_calls 8
audio_source aufile,${o.folder}/say.wav
audio_player aubridge,${o.name}
snd_path ${o.folder}
audio_srate 8000
audio_channels 1
ausrc_srate 8000
auplay_srate 8000
ausrc_channels 1
auplay_channels 1
rtp_ports ${first}-${last}
rtp_stats no
jitter_buffer_delay 2-10
module_path /usr/lib/baresip/modules
${modules}
module_app account.so
module_app menu.so
`,
  );
  const user = o.user ?? o.name;
  const registrar = o.registrar === undefined ? 'regint=0' : 'regint=60';
  const domain = o.registrar ?? host;
  writeFileSync(
    join(o.folder, 'accounts'),
    `<sip:${user}@${domain};transport=${o.transport ?? 'udp'}>;${registrar};answermode=${o.answer ?? 'manual'};audio_codecs=${o.codecs ?? 'pcmu/8000/1,pcma/8000/1'}` +
      `${o.password === undefined ? '' : `;auth_user=${user};auth_pass=${o.password}`}\n`,
  );
}
