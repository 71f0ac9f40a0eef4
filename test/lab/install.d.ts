export declare const cacheFolder: string;
export declare const chroot: string;
export interface Installed {
  readonly chroot: string;
  /** Asterisk's modules, as seen inside the chroot. */
  readonly moduleFolder: string;
}
/** Installs what is missing. `bench`: also what only benches need. */
export declare function install(options?: { readonly bench?: boolean }): Installed;
