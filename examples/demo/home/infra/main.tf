terraform {
  required_providers {
    local = {
      source  = "hashicorp/local"
      version = "1.4.0"
    }
  }
}

variable "site" {
  description = "The folder that receives the files."
  type        = string
}

variable "files" {
  description = "Name and content of each file."
  type        = map(string)
}

resource "local_file" "page" {
  for_each = var.files

  filename = "${var.site}/${each.key}"
  content  = each.value
}

output "pages" {
  value = [for name in keys(var.files) : "${var.site}/${name}"]
}
