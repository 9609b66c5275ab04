// SPDX-License-Identifier: GPL-2.0
#include "cli/command.hpp"

int main(int argc, char** argv) { return egress::cli::run_command({argv + 1, argv + (argc > 0 ? argc : 1)}); }
