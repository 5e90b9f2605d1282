// What a recipe changes in a tree that has its packages. Internal to this module.
#pragma once

#include <stop_token>

#include "base/command.h"
#include "base/progress.h"
#include "nodeimage/recipe.h"
#include "nodeimage/tree.h"

namespace bridgehead::nodeimage {

Status customize_tree(CommandRunner& runner, const Recipe& recipe, const Tree& tree, const ProgressSink& progress,
                      std::stop_token stop);

}  // namespace bridgehead::nodeimage
