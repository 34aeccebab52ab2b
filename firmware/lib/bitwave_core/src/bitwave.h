/* The Arduino IDE looks for a library's headers here alone. */
#include "../include/bitwave.h"
