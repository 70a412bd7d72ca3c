#include "ingest/ingest.h"

int
main(int argc, char **argv)
{
	return proc_main(&ingest_ops, argc, argv);
}
