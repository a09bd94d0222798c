// The version that the banner shows; a test keeps it equal to package.json's. Valid for asc and for tsc.

export const VERSION: string = "0.1.0";
