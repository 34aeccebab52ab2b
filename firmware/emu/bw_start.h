/* The emulated board's way out: semihosting. */
#ifndef BW_START_H
#define BW_START_H

void bw_print(const char *text);
void bw_exit(int code);

#endif
