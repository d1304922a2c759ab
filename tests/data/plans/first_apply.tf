variable "token" {
  type      = string
  sensitive = true
}

resource "terraform_data" "plain" {
  input = { region = "eu-1", ports = [80, 443] }
}

resource "terraform_data" "counted" {
  count = 2
  input = count.index
}

resource "terraform_data" "each" {
  for_each = toset(["a.b", "c"])
  input    = { name = each.key, token = var.token }
}

output "plain" {
  value = terraform_data.plain.output
}

output "token" {
  value     = var.token
  sensitive = true
}
