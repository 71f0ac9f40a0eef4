/** What every suite begins and ends with: programs there, network built, a folder, and on failure the tail of every log. */
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Installed, install } from './install.ts';
import { Asterisk, type AsteriskOptions } from './peers/asterisk.ts';
import { Baresip, type BaresipOptions } from './peers/baresip.ts';
import { hostPort, Sipp, type SippOptions } from './peers/sipp.ts';
import { type Background, stopAll, until } from './run.ts';
import { build, type Family, heal, host, PREFIX, remove } from './topology.ts';
import { ATTEMPTS, insistently, PeerEnded, undisturbed } from './undisturbed.ts';

/** The whole matrix instead of its corners. */
export const full = process.env['VOIP_SGW_FULL'] === '1';

export class Lab {
  readonly folder: string;
  readonly installed: Installed;
  /** Called when a test fails: what the programs under test said last. */
  readonly reports: (() => string)[] = [];

  readonly #asterisks: Asterisk[] = [];
  /** Programs that a test started and that must not outlive it; undefined while the suite gets ready. */
  #transient: Background[] | undefined;

  constructor(name: string) {
    this.installed = install();
    this.folder = mkdtempSync(join(tmpdir(), `vsgw-lab-${name}-`));
    build();
  }

  asterisk(options: Omit<AsteriskOptions, 'installed' | 'folder'>): Promise<Asterisk> {
    const folder = this.place(options.name);
    const started = Asterisk.start({ ...options, installed: this.installed, folder });
    return started.then((asterisk) => {
      this.#asterisks.push(asterisk);
      this.reports.push(() => `asterisk ${options.name}:\n${tail(asterisk.log('full'), 25)}`);
      return asterisk;
    });
  }

  /** The intranet's PBX of one address family, `pbx4` or `pbx6`, with a trunk to GW1. */
  pbx(family: Family, more: Partial<Omit<AsteriskOptions, 'installed' | 'folder'>> = {}): Promise<Asterisk> {
    return this.asterisk({
      place: 'intranet',
      name: family === 'v4' ? 'pbx4' : 'pbx6',
      ip: host.pbx[family],
      trunk: hostPort(host.gw1[family], 5060),
      ...more,
    });
  }

  async baresip(options: Omit<BaresipOptions, 'folder'>): Promise<Baresip> {
    const baresip = await Baresip.start({ ...options, folder: this.place(options.name) });
    this.#transient?.push(baresip.process);
    this.reports.push(() => `baresip ${options.name}:\n${tail(baresip.process.output, 25)}`);
    return baresip;
  }

  sipp(options: Omit<SippOptions, 'folder'>): Sipp {
    const sipp = new Sipp({ ...options, folder: this.place('sipp') });
    this.#transient?.push(sipp.process);
    return sipp;
  }

  place(name: string): string {
    const folder = join(this.folder, name);
    mkdirSync(folder, { recursive: true });
    return folder;
  }

  report(): string {
    return this.reports.map((report) => report()).join('\n---- ');
  }

  /** PBXs that ended by themselves are started again; says which. */
  async #revive(): Promise<string | undefined> {
    const ended = await Promise.all(this.#asterisks.map((asterisk) => asterisk.revive()));
    return ended.find((how) => how !== undefined);
  }

  /** One test: what it started and left behind is ended, so that its failure does not become the next one's. */
  async one(body: (lab: Lab) => Promise<void>): Promise<void> {
    const reports = this.reports.length;
    const mine: Background[] = [];
    this.#transient = mine;
    try {
      const ended = await this.#revive();
      if (ended !== undefined) console.log(`${ended} after the test before this one`);
      await body(this);
    } catch (error) {
      if (error instanceof Error) error.message += `\n---- ${this.report()}`;
      const ended = await this.#revive();
      for (const asterisk of this.#asterisks) asterisk.hangupAll();
      throw ended === undefined ? error : new PeerEnded(ended, error);
    } finally {
      heal();
      await Promise.all(mine.map((program) => program.stop()));
      this.reports.splice(reports);
    }
  }

  /** VOIP_SGW_LAB_KEEP=FOLDER: logs and captures are copied there. */
  async close(): Promise<void> {
    await stopAll();
    remove();
    const keep = process.env['VOIP_SGW_LAB_KEEP'];
    if (keep !== undefined)
      cpSync(this.folder, join(keep, this.folder.split('/').at(-1)!), {
        recursive: true,
        filter: (file) => !file.endsWith('.ctl'), // sockets cannot be copied
      });
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export function tail(text: string, lines: number): string {
  return text.trimEnd().split('\n').slice(-lines).join('\n');
}

const LOCK = join(tmpdir(), `${PREFIX}-lab.lock`);

/** Namespaces have fixed names: one suite at a time for one prefix. The lock of a process that is gone is taken over. */
async function takeTurn(): Promise<void> {
  await until('the lab to be free', 900_000, () => {
    try {
      writeFileSync(LOCK, String(process.pid), { flag: 'wx' });
      return true;
    } catch {
      const owner = existsSync(LOCK) ? Number(readFileSync(LOCK, 'utf8')) : 0;
      if (owner > 0 && !existsSync(`/proc/${owner}`)) rmSync(LOCK, { force: true });
      return false;
    }
  });
}

/** Opens the lab for a file of tests; `ready` starts what they share. */
export function useLab(name: string, ready: (lab: Lab) => Promise<void>): { readonly lab: Lab } {
  const holder: { lab?: Lab } = {};
  before(
    async () => {
      await takeTurn();
      holder.lab = new Lab(name);
      try {
        await ready(holder.lab);
      } catch (error) {
        throw new Error(
          `${error instanceof Error ? error.stack : String(error)}\n---- ${holder.lab.report()}`,
        );
      }
    },
    { timeout: 1_200_000 },
  );
  after(
    async () => {
      await holder.lab?.close();
      rmSync(LOCK, { force: true });
    },
    { timeout: 30_000 },
  );
  return {
    get lab(): Lab {
      if (holder.lab === undefined) throw new Error('the lab is not open yet');
      return holder.lab;
    },
  };
}

/**
 * A test that says what the programs said when it fails. `seconds`: the limit of one attempt, 60 by default. A failure while the hypervisor
 * took the processor away, or of which a PBX died, is tried again (undisturbed.ts). `timed`: what is measured are fractions of a second of sound; where each
 * attempt was disturbed, that is no finding and the test is skipped.
 */
export function labTest(
  holder: { readonly lab: Lab },
  name: string,
  body: (lab: Lab) => Promise<void>,
  options: { readonly seconds?: number; readonly skip?: boolean; readonly timed?: boolean } = {},
): void {
  const attempts = options.timed === true ? undisturbed : insistently;
  const timeout = ATTEMPTS * (options.seconds ?? 60) * 1000;
  test(name, { timeout, skip: options.skip ?? false }, (t) => attempts(t, () => holder.lab.one(body)));
}
