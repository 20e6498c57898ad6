/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/pin.h"

bool
pin_parse(const char *hex, unsigned char pin_r[PIN_LEN])
{
	size_t n = 0;

	for (; *hex; hex++) {
		int digit = hex_digit(*hex);

		if (*hex == ':')
			continue;
		if (digit < 0 || n == 2 * PIN_LEN)
			return false;
		pin_r[n / 2] = (unsigned char)(n % 2 ? pin_r[n / 2] | digit : digit << 4);
		n++;
	}
	return n == 2 * PIN_LEN;
}
