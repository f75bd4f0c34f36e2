/* agent_convert: a converter's process (extract/job.h): takes from itself all that it doesn't need, then becomes the program, or reads the
 * attachment itself. */
#pragma once

/* Its whole life; the exit status. */
int convert_agent_main(void);
