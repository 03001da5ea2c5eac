// The machine that tests run on, as pods of the host see it: 172.30.<slot>.1 for instances but the default one.
export const MACHINE_ADDRESS = process.env.MAYFLY_MACHINE_ADDRESS ?? '172.30.0.1';
